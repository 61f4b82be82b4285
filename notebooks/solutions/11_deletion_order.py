order = ("Music: remove", "Music: delete", "MusicToday: delete the table in",
         "MusicToday: delete the table at home", "MusicStrong: remove",
         "MusicStrong: delete the table at home")
answer = [letter for begins in order
          for letter, step in zip(steps["letter"], steps["step"], strict=True)
          if step.startswith(begins)]
