Instance: CoincidentTimeStamp.0222
InstanceOf: DkCoreObservation
Usage: #example
* meta.profile[+] = $PhdCoincidentTimeStampObservation
* status = #final
* code
  * coding[+] = $IEEEx73#67975 "MDC_ATTR_TIME_ABS"
  * text = "MDC_ATTR_TIME_ABS: Uses Absolute time clock"
* subject = Reference(Poul)
* performer = Reference(Poul)
* effectiveDateTime = "2023-02-23T10:24:34.467+01:00"
* valueDateTime = "2023-02-23T10:24:25+01:00"
* device = Reference(BPMonitor.C4F312FFFE53F2C9)
* extension
  * url = $observation-gatewayDevice
  * valueReference = Reference(Telma.FEEDDADADEADBEEF)


Instance: BloodPressure.Poul.643992
InstanceOf: DkCoreObservation
Usage: #inline
* identifier.value = "C4F312FFFE53F2C9-3001749995-urn:oid:1.2.208.176.1.2-150020-118-266016-87-266016-99-266016-20230223T102408.00"
* meta.profile[+] = $PhdCompoundNumericObservation
* meta.profile[+] = $observation-vitalsigns
* meta.profile[+] = $observation-bp
* status = #final
* category.coding = $observation-category#vital-signs "Vital signs"
* code
  * coding[+] = $LOINC#85354-9 "Blood pressure panel with all children optional"
  * coding[+] = $IEEEx73#150020 "MDC_PRESS_BLD_NONINV"
  * coding[+] = $SKS#ZZ3170 "Hjemmeblodtryksmåling udført af patienten"
  * text = "MDC_PRESS_BLD_NONINV: Blood Pressure"
* subject = Reference(Poul)
* performer = Reference(Poul)
* effectiveDateTime = "2023-02-23T10:24:08+01:00"
* component[+]
  * code
    * coding[+] = $LOINC#8480-6 "Systolic blood pressure"
    * coding[+] = $IEEEx73#150021 "MDC_PRESS_BLD_NONINV_SYS"
    * coding[+] = $Medcom#MCS88019 "Arm—Blodtryk(systolisk) hjemme; tryk = ? mmHg"
    * text = "MDC_PRESS_BLD_NONINV_SYS: Systolic Blood Pressure"
  * valueQuantity = 118 'mm[Hg]' "mmHg"
* component[+]
  * code
    * coding[+] = $LOINC#8462-4 "Diastolic blood pressure"
    * coding[+] = $IEEEx73#150022 "MDC_PRESS_BLD_NONINV_DIA"
    * coding[+] = $Medcom#MCS88020 "Arm—Blodtryk(diastolisk) hjemme; tryk = ? mmHg"
    * text = "MDC_PRESS_BLD_NONINV_DIA: Diastolic Blood Pressure"
  * valueQuantity = 87 'mm[Hg]' "mmHg"
* component[+]
  * code
    * coding[+] = $IEEEx73#150023 "MDC_PRESS_BLD_NONINV_MEAN"
    * text = "MDC_PRESS_BLD_NONINV_MEAN: Mean Blood Pressure"
  * valueQuantity = 99 'mm[Hg]' "mmHg"
* device = Reference(BPMonitor.C4F312FFFE53F2C9)
* extension
  * url = $observation-gatewayDevice
  * valueReference = Reference(Telma.FEEDDADADEADBEEF)
* derivedFrom = Reference(CoincidentTimeStamp.0222)


Instance: HeartRate.Poul.1974654
InstanceOf: DkCoreObservation
Usage: #example
* identifier.value = "C4F312FFFE53F2C9-3001749995-urn:oid:1.2.208.176.1.2-149546-93-{beat}/min-20230223T102408.00"
* meta.profile[+] = $PhdNumericObservation
* meta.profile[+] = $observation-vitalsigns
* meta.profile[+] = $observation-heartrate
* status = #final
* category.coding = $observation-category#vital-signs "Vital signs"
* code
  * coding[+] = $LOINC#8867-4 "Heart rate"
  * coding[+] = $IEEEx73#149546 "MDC_PULS_RATE_NON_INV"
  * coding[+] = $NPU#NPU21692 "Heart—Systole; frequency = ? × 1/min"
  * text = "MDC_PULS_RATE_NON_INV: Heart rate"
* subject = Reference(Poul)
* performer = Reference(Poul)
* effectiveDateTime = "2023-02-23T10:24:08+01:00"
* valueQuantity = 93 '/min' "bpm"
* device = Reference(BPMonitor.C4F312FFFE53F2C9)
* extension
  * url = $observation-gatewayDevice
  * valueReference = Reference(Telma.FEEDDADADEADBEEF)
* derivedFrom = Reference(CoincidentTimeStamp.0222)


Instance: BloodPressureStatus.Poul.133527
InstanceOf: DkCoreObservation
Usage: #inline
* identifier.value = "C4F312FFFE53F2C9-3001749995-urn:oid:1.2.208.176.1.2-8410608-8192-20230223T102408.00"
* meta.profile[+] = $PhdBitsEnumerationObservation
* status = #final
* code
  * coding = $IEEEx73#8410608 "MDC_BLOOD_PRESSURE_MEASUREMENT_STATUS"
  * text = "MDC_BLOOD_PRESSURE_MEASUREMENT_STATUS: Blood Pressure measurement problem"
* subject = Reference(Poul)
* performer = Reference(Poul)
* effectiveDateTime = "2023-02-23T10:24:08+01:00"
* component
  * code
    * coding = $ASN1ToHL7#8410608.2
    * text = "irregular-pulse"
  * valueCodeableConcept
    * coding = $v2-0136#Y
    * text = "Irregular pulse was detected"
* device = Reference(BPMonitor.C4F312FFFE53F2C9)
* extension
  * url = $observation-gatewayDevice
  * valueReference = Reference(Telma.FEEDDADADEADBEEF)
* derivedFrom[+] = Reference(CoincidentTimeStamp.0222)
* derivedFrom[+] = Reference(BloodPressure.Poul.643992)
