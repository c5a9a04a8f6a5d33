"""A shipment's events on their way from a vehicle to whoever asks: small real services, watched by one specification.

load -> gateway -> (Redis stream) -> ingestion -> PostgreSQL
                                        |-> (MQTT) -> projection -> read store (Redis) -> tracking API, two versions
"""
