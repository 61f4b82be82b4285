import time


def build(lab, table, homes):
    stacks = router.stacks(lab, table=table, timeout_s=0.5)
    return router.Router(stacks, homes, "your Region")


def come_back(router, region):
    while router.behind(region):
        time.sleep(0.05)
    router.evacuated.discard(region)
