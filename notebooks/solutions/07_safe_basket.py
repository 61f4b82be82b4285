def add(client, region, table, customer, product, request):
    item = {"Customer": customer, "Part": request, "Product": product}
    item = {name: {"S": value} for name, value in item.items()}
    client.put_item(TableName=table, Item=item)


def basket(client, table, customer):
    found = client.query(
        TableName=table, KeyConditionExpression="Customer = :customer",
        ExpressionAttributeValues={":customer": {"S": customer}},
    )
    products = [item["Product"]["S"] for item in found["Items"]]
    return {product: products.count(product) for product in products}
