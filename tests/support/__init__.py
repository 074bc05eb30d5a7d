"""What tests share: tables of cases, refused lines, runs, oracles, files, pretended devices."""
