import time


def put_when_ready(client, table, item):
    deadline = time.monotonic() + 60  # for a table that does not exist
    while True:
        try:
            return client.put_item(TableName=table, Item=item)
        except client.exceptions.ResourceNotFoundException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
