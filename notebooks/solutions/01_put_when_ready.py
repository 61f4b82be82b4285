import time


def put_when_ready(client, table, item):
    while True:
        try:
            return client.put_item(TableName=table, Item=item)
        except client.exceptions.ResourceNotFoundException:
            time.sleep(0.2)
