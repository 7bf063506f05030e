public import ExactJSON
import Vitals

/// The formats of `vitalgate decode`.
public enum DecodeFormat {
    public struct Entry: Sendable {
        public let name: String
        /// One line for a person.
        public let summary: String
        let decode: @Sendable ([UInt8]) throws(DecodeError) -> JSON
    }

    /// Every format, in the order of `vitalgate decode --list`.
    public static let all: [Entry] = [
        gatt(BloodPressureMeasurement.self, "blood pressure measurement"),
        gatt(IntermediateCuffPressure.self, "intermediate cuff pressure, never a result"),
        gatt(BloodPressureFeature.self, "blood pressure feature"),
        gatt(EnhancedBloodPressureMeasurement.self, "enhanced blood pressure measurement"),
        gatt(EnhancedIntermediateCuffPressure.self, "enhanced intermediate cuff pressure, never a result"),
        Entry(name: "gatt:2b36", summary: "blood pressure record; the segments of one record are several --hex") {
            bytes throws(DecodeError) in try BloodPressureRecord(segments: [bytes]).json
        },
        gatt(PulseOximeterSpotCheck.self, "pulse oximeter, spot-check measurement"),
        gatt(PulseOximeterContinuous.self, "pulse oximeter, continuous measurement, a sample of a stream"),
        gatt(PulseOximeterFeatures.self, "pulse oximeter features"),
        gatt(WeightMeasurement.self, "weight measurement"),
        gatt(BodyCompositionMeasurement.self, "body composition measurement"),
        gatt(TemperatureMeasurement.self, "temperature measurement"),
        gatt(GlucoseMeasurement.self, "glucose measurement"),
        gatt(GlucoseContext.self, "glucose measurement context"),
        gatt(RecordAccess.self, "record access control point, requests and answers"),
        gatt(CurrentTime.self, "current time"),
        gatt(DateTime.self, "date and time"),
        gatt(BatteryLevel.self, "battery level"),
        gatt(SystemID.self, "system id (EUI-64)"),
        text(GATTCharacteristic.modelNumber, "model number"),
        text(GATTCharacteristic.serialNumber, "serial number"),
        text(GATTCharacteristic.firmwareRevision, "firmware revision"),
        text(GATTCharacteristic.hardwareRevision, "hardware revision"),
        text(GATTCharacteristic.softwareRevision, "software revision"),
        text(GATTCharacteristic.manufacturerName, "manufacturer name"),
        gatt(CertificationData.self, "regulatory certification data list"),
        gatt(PlugAndPlayID.self, "PnP id"),
        gatt(UniqueDeviceIdentifier.self, "unique device identifier"),
        gatt(UserControlPoint.self, "user control point, requests and answers"),
        gatt(DateOfBirth.self, "date of birth"),
        nonin(.df13, "Nonin data format 13, a spot-check with its time, live or from memory"),
        nonin(.df8, "Nonin data format 8, a sample of a stream, four bytes once a second"),
        nonin(.df7, "Nonin data format 7, a packet of 25 frames with a 16-bit waveform"),
        nonin(.df2, "Nonin data format 2, a packet of 25 frames with an 8-bit waveform"),
        Entry(name: "sfloat-le", summary: "SFLOAT-Type, 16 bits, little-endian (GATT)") { bytes throws(DecodeError) in
            try sfloat(bytes) { reader throws(DecodeError) in try reader.u16("SFLOAT") }
        },
        Entry(name: "sfloat-be", summary: "SFLOAT-Type, 16 bits, big-endian (ISO/IEEE 11073-20601)") {
            bytes throws(DecodeError) in
            try sfloat(bytes) { reader throws(DecodeError) in try reader.u16BigEndian("SFLOAT") }
        },
        Entry(name: "float-le", summary: "FLOAT-Type, 32 bits, little-endian (GATT)") { bytes throws(DecodeError) in
            try float(bytes) { reader throws(DecodeError) in try reader.u32("FLOAT") }
        },
        Entry(name: "float-be", summary: "FLOAT-Type, 32 bits, big-endian (ISO/IEEE 11073-20601)") { bytes throws(DecodeError) in
            try float(bytes) { reader throws(DecodeError) in try reader.u32BigEndian("FLOAT") }
        },
        Entry(name: "gap:advertising", summary: "advertising data, scan response or inquiry response") {
            bytes throws(DecodeError) in AdvertisingData(parsing: bytes).json
        },
    ]

    private static let byName: [String: Entry] = Dictionary(all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })

    /// The format of that name, in whatever case.
    public static func named(_ name: String) throws(DecodeError) -> Entry {
        guard let entry = byName[name.lowercased()] else {
            throw DecodeError(
                .unknownFormat, offset: 0, message: "expected a format that 'vitalgate decode --list' names, found '\(name)'",
                bytes: [])
        }
        return entry
    }

    /// One frame as JSON.
    public static func decode(format: String, bytes: [UInt8]) throws(DecodeError) -> JSON {
        try named(format).decode(bytes)
    }

    /// Several frames: one JSON value each, but one for all segments of a 2B36 record.
    public static func decode(format: String, frames: [[UInt8]]) throws(DecodeError) -> [JSON] {
        let entry = try named(format)
        if entry.name == "gatt:2b36", frames.count > 1 {
            var records: [JSON] = []
            var segments: [[UInt8]] = []
            for frame in frames {
                segments.append(frame)
                // A record ends with the segment marked last; several may follow one another.
                if let header = frame.first, header & 2 != 0 {
                    records.append(try BloodPressureRecord(segments: segments).json)
                    segments = []
                }
            }
            if !segments.isEmpty { records.append(try BloodPressureRecord(segments: segments).json) }
            return records
        }
        var values: [JSON] = []
        for frame in frames { values.append(try entry.decode(frame)) }
        return values
    }

    private static func gatt<Value: CharacteristicValue & JSONValue>(_ type: Value.Type, _ summary: String) -> Entry {
        Entry(name: "gatt:" + type.uuid.hex4, summary: summary) { bytes throws(DecodeError) in try Value(decoding: bytes).json }
    }

    private static func text(_ uuid: UInt16, _ what: String) -> Entry {
        Entry(name: "gatt:" + uuid.hex4, summary: what) { bytes throws(DecodeError) in
            let text = try DeviceText(decoding: bytes)
            return [
                "kind": "device-information", "field": .string(what), "text": text.isEmpty ? nil : .string(text.text),
                "warnings": [],
            ]
        }
    }

    private static func nonin(_ format: NoninDataFormat, _ summary: String) -> Entry {
        Entry(name: format.source.format, summary: summary) { bytes throws(DecodeError) in
            switch format {
            case .df13: try NoninSpotCheck(decoding: bytes).json
            case .df8: try NoninSample(decoding: bytes).json
            case .df2, .df7: try NoninWaveform(decoding: bytes, format: format).json
            }
        }
    }

    private typealias Bits<Number> = (inout ByteReader) throws(DecodeError) -> Number

    private static func sfloat(_ bytes: [UInt8], _ bits: Bits<UInt16>) throws(DecodeError) -> JSON {
        var reader = ByteReader(bytes)
        let number = SFloat(bits: try bits(&reader))
        try reader.finish()
        return json(number.value)
    }

    private static func float(_ bytes: [UInt8], _ bits: Bits<UInt32>) throws(DecodeError) -> JSON {
        var reader = ByteReader(bytes)
        let number = Float32Decimal(bits: try bits(&reader))
        try reader.finish()
        return json(number.value)
    }

    private static func json(_ value: MeasuredValue) -> JSON {
        switch value {
        case .number(let number):
            [
                "kind": "number", "value": .number(number), "mantissa": .integer(number.mantissa),
                "exponent": .integer(number.exponent), "special": nil,
            ]
        case .special(let special):
            ["kind": "number", "value": nil, "mantissa": nil, "exponent": nil, "special": .string(special.rawValue)]
        }
    }
}

extension DecodeError {
    /// `{"error":{"code":..,"offset":..,"message":..}}`
    public var json: JSON {
        ["error": ["code": .string(code.rawValue), "offset": .integer(offset), "message": .string(message)]]
    }
}
