choice = {"Likes": "mrec", "A ledger": "mrsc", "Balances": "witness", "Sessions": "mrec",
          "A product": "mrec"}
answer = {letter: next(kind for begins, kind in choice.items() if text.startswith(begins))
          for letter, text in zip(briefs["brief"], briefs["text"], strict=True)}
