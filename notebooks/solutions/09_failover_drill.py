def build(lab, table, homes):
    return router.Router(router.stacks(lab, table=table, timeout_s=0.5), homes)


def come_back(router, region):
    router.fail_back(region)
