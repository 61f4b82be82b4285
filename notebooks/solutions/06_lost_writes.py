def lost_writes(records, region):
    lost = []
    for record in records:
        old, new = (record["dynamodb"].get(image) for image in ("OldImage", "NewImage"))
        if not old or not new:
            continue
        replaced = old["WrittenIn"]["S"] == region != new["WrittenIn"]["S"]
        if replaced and int(new["Version"]["N"]) <= int(old["Version"]["N"]):
            lost.append(old["Value"]["S"])
    return lost
