def on_record(record, region, serving, client, table, send):
    order = record["dynamodb"].get("NewImage")
    if not order or "Receipt" in order:
        return
    taken_in = order["TakenIn"]["S"]
    if region != (taken_in if taken_in in serving else serving[0]):
        return
    try:
        client.update_item(
            TableName=table, Key={"id": order["id"]},
            UpdateExpression="SET Receipt = :region",
            ConditionExpression="attribute_exists(id) AND attribute_not_exists(Receipt)",
            ExpressionAttributeValues={":region": {"S": region}},
        )
    except client.exceptions.ConditionalCheckFailedException:
        return
    send(order["id"]["S"])
