"""What is stored, by patient, study, series and instance; and the jobs that change it."""
