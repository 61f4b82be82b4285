def verdict(pair):
    if pair["key"].nunique() > 1:
        return "keys"
    if set(pair["stream"]) != {"NEW_AND_OLD_IMAGES"}:
        return "stream"
    return "data" if pair["items"].any() else "joins"


answer = {letter: verdict(pair) for letter, pair in pairs.groupby("pair")}
