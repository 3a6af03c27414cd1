"""Jobs 2.x: settings, runs and their scheduler, repair, output. What runs, runs for real; other task types are refused at create."""
