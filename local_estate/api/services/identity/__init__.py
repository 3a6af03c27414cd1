"""Who there is in the account, who may use which workspace, and the tokens they get."""
