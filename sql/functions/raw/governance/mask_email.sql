-- The domain stays, for it says which provider a customer is with. Whatever is no plain address is hidden altogether.
CREATE OR REPLACE FUNCTION {raw}.governance.mask_email(value STRING)
RETURNS STRING
COMMENT 'What an e-mail address is to those who may not see it: *** and its domain'
RETURN CASE
  WHEN value IS NULL THEN NULL
  WHEN regexp_extract(value, '^[^@]+@([A-Za-z0-9-]+([.][A-Za-z0-9-]+)+)$', 1) = '' THEN '***'
  ELSE concat('***@', lower(regexp_extract(value, '^[^@]+@([A-Za-z0-9-]+([.][A-Za-z0-9-]+)+)$', 1)))
END;
