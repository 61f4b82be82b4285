import time


def write_and_prove(clients, home, table, item):
    replica = next(region for region in clients if region != home)
    clients[replica].put_item(TableName=table, Item=item)
    found, deadline = None, time.monotonic() + 30
    while found != item and time.monotonic() < deadline:
        time.sleep(0.05)
        answer = clients[home].get_item(TableName=table, Key={"id": item["id"]})
        found = answer.get("Item")
    return found
