"""Approve from where you are: links in messages and buttons in Slack that lead to the same decision as `kubernaut approve`."""
