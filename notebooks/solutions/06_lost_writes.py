def lost_writes(records, region):
    def seen(image):  # how many writes of this Region the image's writer has seen
        return int(image["Seen"]["M"].get(region, {"N": "0"})["N"])

    lost = []
    for record in records:
        old, new = (record["dynamodb"].get(image) for image in ("OldImage", "NewImage"))
        if not old or not new:
            continue
        replaced = old["WrittenIn"]["S"] == region != new["WrittenIn"]["S"]
        if replaced and seen(new) < seen(old):
            lost.append(old["Value"]["S"])
    return lost
