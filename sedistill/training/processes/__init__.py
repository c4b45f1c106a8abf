"""What several processes that train one network have to share."""
