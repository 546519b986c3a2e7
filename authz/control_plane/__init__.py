"""Policy bundles of control planes: from downloads to the policy that decides, its versions, and what is told of them."""
