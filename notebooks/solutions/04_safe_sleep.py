def safe_sleep_ms(curve, share):
    enough = curve[curve["certain"] >= share]
    return enough.groupby("target")["t_ms"].min().max()
