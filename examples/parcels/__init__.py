"""Eight services, seven transports, one ID: a parcel's way from the edge to the gateway of a delivery van."""
