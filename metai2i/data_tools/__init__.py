"""Looking a data set over, and the commands that prepare one."""
