"""The REST API: Orthanc's dialect over what is stored, guarded."""
