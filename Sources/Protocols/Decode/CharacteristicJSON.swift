import ExactJSON
import Vitals

/// A characteristic's value as `vitalgate decode` prints it.
protocol JSONValue {
    var json: JSON { get }
}

extension MeasurementValue {
    var json: JSON { measurement.json() }
}

extension BloodPressureMeasurement: JSONValue {}
extension IntermediateCuffPressure: JSONValue {}
extension EnhancedIntermediateCuffPressure: JSONValue {}
extension PulseOximeterSpotCheck: JSONValue {}
extension PulseOximeterContinuous: JSONValue {}
extension WeightMeasurement: JSONValue {}

extension EnhancedBloodPressureMeasurement: JSONValue {
    var json: JSON {
        measurement.json(details: [
            .init("timeStamp", time(timeStamp).json),
            .init("userFacingTime", time(userFacingTime).json),
        ])
    }
}

extension BloodPressureRecord: JSONValue {
    var json: JSON {
        measurement.json(details: [
            .init("recordedCharacteristic", .string(characteristic.hex4)),
            .init("hasChecksum", .bool(hasChecksum)),
        ])
    }
}

extension BodyCompositionMeasurement: JSONValue {
    var json: JSON { measurement.json(details: [.init("multiplePacket", .bool(isMultiplePacket))]) }
}

extension TemperatureMeasurement: JSONValue {
    var json: JSON { measurement.json(details: [.init("location", (site?.name).json)]) }
}

extension GlucoseMeasurement: JSONValue {
    var json: JSON {
        measurement.json(details: [
            .init("sampleType", (sampleType?.name).json),
            .init("location", (sampleLocation?.name).json),
            .init("contextFollows", .bool(hasContext)),
        ])
    }
}

extension GlucoseContext: JSONValue {
    var json: JSON {
        func amount(_ amount: Amount?, _ unit: String) -> JSON {
            amount.map { ["id": .integer($0.id), "value": $0.value.value.json, "unit": .string(unit)] } ?? nil
        }
        return measurement.json(details: [
            .init("carbohydrate", amount(carbohydrate, "kg")),
            .init("meal", meal.json),
            .init("tester", testerAndHealth.map { $0 & 0xF }.json),
            .init("health", testerAndHealth.map { $0 >> 4 }.json),
            .init("exerciseSeconds", (exercise?.duration == 0xFFFF ? nil : exercise?.duration).json),
            .init("exerciseIntensityPercent", (exercise?.intensity).json),
            .init("medication", amount(medication, isMedicationInLitres ? "L" : "kg")),
            .init("hba1c", hba1c?.value.json ?? nil),
        ])
    }
}

extension BloodPressureFeature: JSONValue {
    var json: JSON {
        [
            "kind": "blood-pressure-feature", "features": features.map(\.rawValue).json, "featureBits": .integer(bits),
            "warnings": warnings.json,
        ]
    }
}

extension PulseOximeterFeatures: JSONValue {
    var json: JSON {
        [
            "kind": "pulse-oximeter-features", "features": features.map(\.rawValue).json, "featureBits": .integer(wireBits),
            "supportedStatusBits": supportedStatus.json, "supportedSensorStatusBits": supportedSensorStatus.json,
            "supportedStatus": OximeterStatus.flagNames(supportedStatus, supportedSensorStatus).json, "warnings": warnings.json,
        ]
    }
}

extension OximeterStatus {
    fileprivate static func flagNames(_ status: UInt16?, _ sensorStatus: UInt32?) -> [String] {
        let found = flags(status, sensorStatus)
        return StatusFlag.allCases.filter(found.contains).map(\.rawValue)
    }
}

extension DateTime: JSONValue {
    var json: JSON {
        let stamp = TimeStamp(time)
        return [
            "kind": "date-time", "deviceTime": stamp.deviceTime.json, "deviceClockUnset": .bool(stamp.isUnset),
            "warnings": warnings.json,
        ]
    }
}

extension CurrentTime: JSONValue {
    var json: JSON {
        let reasons: [(AdjustReason, String)] = [
            (.manualUpdate, "manual-update"), (.externalReference, "external-reference"), (.timeZoneChange, "time-zone-change"),
            (.daylightSavingChange, "daylight-saving-change"),
        ]
        let stamp = TimeStamp(time)
        return [
            "kind": "current-time", "deviceTime": stamp.deviceTime.json, "deviceClockUnset": .bool(stamp.isUnset),
            "dayOfWeek": dayOfWeek == 0 ? nil : .integer(dayOfWeek), "fractions256": isShort ? nil : .integer(fractions),
            "adjustReason": reasons.filter { adjustReason.contains($0.0) }.map(\.1).json, "warnings": warnings.json,
        ]
    }
}

extension DateOfBirth: JSONValue {
    var json: JSON {
        [
            "kind": "date-of-birth", "year": year == 0 ? nil : .integer(year), "month": month == 0 ? nil : .integer(month),
            "day": day == 0 ? nil : .integer(day), "warnings": [],
        ]
    }
}

extension BatteryLevel: JSONValue {
    var json: JSON { ["kind": "battery", "percent": .integer(percent), "warnings": []] }
}

extension SystemID: JSONValue {
    var json: JSON { ["kind": "system-id", "systemID": .string(bigEndian.hex), "warnings": []] }
}

extension CertificationData: JSONValue {
    var json: JSON {
        [
            "kind": "certification-data",
            "entries": .array(
                entries.map { ["body": .integer($0.body), "structure": .integer($0.structure), "data": .string($0.data.hex)] }),
            "warnings": [],
        ]
    }
}

extension PlugAndPlayID: JSONValue {
    var json: JSON {
        [
            "kind": "plug-and-play-id", "vendorSource": .integer(vendorSource), "vendor": .integer(vendor),
            "product": .integer(product), "version": .integer(version), "warnings": [],
        ]
    }
}

extension UniqueDeviceIdentifier: JSONValue {
    var json: JSON {
        [
            "kind": "unique-device-identifier", "label": label.json, "deviceIdentifier": deviceIdentifier.json,
            "issuer": issuer.json, "authority": authority.json, "warnings": warnings.json,
        ]
    }
}

extension RecordAccess: JSONValue {
    var json: JSON {
        switch self {
        case .count(let number, _):
            ["kind": "record-access", "operation": "count-response", "records": .integer(number), "warnings": []]
        case .combinedReport(let number, _):
            ["kind": "record-access", "operation": "combined-report-response", "records": .integer(number), "warnings": []]
        case .response(let request, let result):
            [
                "kind": "record-access", "operation": "response",
                "request": Procedure(rawValue: request).map { .string($0.name) } ?? nil, "requestOpCode": .integer(request),
                "result": .string(result.name), "resultCode": .integer(result.rawValue), "warnings": [],
            ]
        case .request(let procedure, let selection):
            .object(
                [.init("kind", "record-access"), .init("operation", .string(procedure.name))] + selection.members
                    + [.init("warnings", [])])
        }
    }
}

extension RecordAccess.Procedure {
    fileprivate var name: String {
        switch self {
        case .report: "report"
        case .delete: "delete"
        case .abort: "abort"
        case .count: "count"
        case .combinedReport: "combined-report"
        }
    }
}

extension RecordAccess.Selection {
    fileprivate var members: [JSON.Member] {
        func members(_ name: JSON, _ low: UInt16? = nil, _ high: UInt16? = nil, filter: UInt8? = nil, operand: [UInt8]? = nil)
            -> [JSON.Member]
        {
            [
                .init("operator", name), .init("filter", filter.json), .init("from", low.json), .init("to", high.json),
                .init("operand", (operand?.hex).json),
            ]
        }
        return switch self {
        case .none: members(nil)
        case .all: members("all")
        case .first: members("first")
        case .last: members("last")
        case .sequenceAtMost(let number): members("at-most", nil, number, filter: 1)
        case .sequenceAtLeast(let number): members("at-least", number, nil, filter: 1)
        case .sequenceRange(let low, let high): members("range", low, high, filter: 1)
        case .other(let operation, let filter, let operand):
            members(["at-most", "at-least", "range"][min(max(Int(operation), 2), 4) - 2], filter: filter, operand: operand)
        }
    }
}

extension UserControlPoint: JSONValue {
    var json: JSON {
        switch self {
        case .registerNewUser(let code):
            ["kind": "user-control", "operation": "register-new-user", "consentCode": .integer(code), "warnings": []]
        case .consent(let index, let code):
            [
                "kind": "user-control", "operation": "consent", "userIndex": .integer(index), "consentCode": .integer(code),
                "warnings": [],
            ]
        case .deleteUserData: ["kind": "user-control", "operation": "delete-user-data", "warnings": []]
        case .listAllUsers: ["kind": "user-control", "operation": "list-all-users", "warnings": []]
        case .deleteUser(let index):
            ["kind": "user-control", "operation": "delete-user", "userIndex": .integer(index), "warnings": []]
        case .response(let request, let result, let parameter):
            [
                "kind": "user-control", "operation": "response", "requestOpCode": .integer(request),
                "result": .string(result.name),
                "resultCode": .integer(result.rawValue), "userIndex": request == 1 ? parameter.first.json : nil,
                "parameter": .string(parameter.hex), "warnings": [],
            ]
        }
    }
}
