distances = regions.frame(lab.home, lab.replicas).set_index("region")["rtt_ms"]
answer = distances.idxmax()
