"""The doing: carries out planned operations on the cluster, checked before, recorded after, once each."""
