-- Text in which personal data may stand anywhere: payloads, notes, messages.
CREATE OR REPLACE FUNCTION {raw}.governance.mask_text(value STRING)
RETURNS STRING
COMMENT 'What free text is to those who may not see the personal data in it: ***'
RETURN CASE WHEN value IS NOT NULL THEN '***' END;
