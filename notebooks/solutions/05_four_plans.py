order = ("create", "wait until the new", "wait until the table", "wait until both",
         "change", "wait until the changed", "call", "add the first", "add two", "wait",
         "add", "put")


def place(step):
    return next(at for at, begins in enumerate(order) if step.startswith(begins))


answer = {}
for plan, steps in plans.groupby("plan"):
    places = steps["step"].map(place)
    answer[plan] = "".join(steps["letter"].iloc[places.argsort(kind="stable")])
