public import Vitals

/// Glucose Measurement Context 2A34 (notified): what belongs to the measurement with the same sequence number.
///
///     flags u8 | sequence u16 | [b7 extended flags u8] | [b0 carbohydrate id u8, kg SFLOAT] | [b1 meal u8]
///     | [b2 tester 4 bits, health 4 bits] | [b3 exercise duration u16 s, intensity u8 %]
///     | [b4 medication id u8, amount SFLOAT] | [b6 HbA1c SFLOAT %]
///
/// Flag b5: medication in litres, else in kilograms. Source: Glucose Service 1.0.1, Bluetooth GSS.
public struct GlucoseContext: MeasurementValue {
    public static let uuid = GATTCharacteristic.glucoseMeasurementContext

    public struct Amount: Hashable, Sendable {
        /// Breakfast 1, lunch 2 ... for carbohydrates; rapid 1, short 2, intermediate 3, long 4, pre-mixed 5 for medication.
        public var id: UInt8
        public var value: SFloat
        public init(id: UInt8, value: SFloat) {
            self.id = id
            self.value = value
        }
    }

    public struct Exercise: Hashable, Sendable {
        /// Seconds; 0xFFFF is overrun.
        public var duration: UInt16
        /// Percent.
        public var intensity: UInt8
        public init(duration: UInt16, intensity: UInt8) {
            self.duration = duration
            self.intensity = intensity
        }
    }

    public var sequence: UInt16
    public var extendedFlags: UInt8?
    public var carbohydrate: Amount?
    /// Preprandial 1, postprandial 2, fasting 3, casual 4, bedtime 5.
    public var meal: UInt8?
    /// Low nibble: tester (self 1, professional 2, laboratory 3). High nibble: health (minor 1, major 2, menses 3, stress 4,
    /// none 5).
    public var testerAndHealth: UInt8?
    public var exercise: Exercise?
    public var medication: Amount?
    public var isMedicationInLitres: Bool
    public var hba1c: SFloat?

    public init(
        sequence: UInt16, extendedFlags: UInt8? = nil, carbohydrate: Amount? = nil, meal: UInt8? = nil,
        testerAndHealth: UInt8? = nil, exercise: Exercise? = nil, medication: Amount? = nil, isMedicationInLitres: Bool = false,
        hba1c: SFloat? = nil
    ) {
        self.sequence = sequence
        self.extendedFlags = extendedFlags
        self.carbohydrate = carbohydrate
        self.meal = meal
        self.testerAndHealth = testerAndHealth
        self.exercise = exercise
        self.medication = medication
        self.isMedicationInLitres = isMedicationInLitres
        self.hba1c = hba1c
    }

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        let flags = try reader.u8("flags")
        sequence = try reader.u16("sequence number")
        extendedFlags = flags & 0x80 != 0 ? try reader.u8("extended flags") : nil
        carbohydrate =
            flags & 1 != 0
            ? Amount(id: try reader.u8("carbohydrate id"), value: SFloat(bits: try reader.u16("carbohydrate"))) : nil
        meal = flags & 2 != 0 ? try reader.u8("meal") : nil
        testerAndHealth = flags & 4 != 0 ? try reader.u8("tester and health") : nil
        exercise =
            flags & 8 != 0
            ? Exercise(duration: try reader.u16("exercise duration"), intensity: try reader.u8("exercise intensity")) : nil
        medication =
            flags & 16 != 0 ? Amount(id: try reader.u8("medication id"), value: SFloat(bits: try reader.u16("medication"))) : nil
        isMedicationInLitres = flags & 32 != 0
        hba1c = flags & 64 != 0 ? SFloat(bits: try reader.u16("HbA1c")) : nil
        try reader.finish()
    }

    public var encoded: [UInt8] {
        let flags: UInt8 =
            (carbohydrate != nil ? 1 : 0) | (meal != nil ? 2 : 0) | (testerAndHealth != nil ? 4 : 0) | (exercise != nil ? 8 : 0)
            | (medication != nil ? 16 : 0) | (isMedicationInLitres ? 32 : 0) | (hba1c != nil ? 64 : 0)
            | (extendedFlags != nil ? 128 : 0)
        var writer = ByteWriter()
        writer.u8(flags)
        writer.u16(sequence)
        if let extendedFlags { writer.u8(extendedFlags) }
        if let carbohydrate {
            writer.u8(carbohydrate.id)
            writer.u16(carbohydrate.value.bits)
        }
        if let meal { writer.u8(meal) }
        if let testerAndHealth { writer.u8(testerAndHealth) }
        if let exercise {
            writer.u16(exercise.duration)
            writer.u8(exercise.intensity)
        }
        if let medication {
            writer.u8(medication.id)
            writer.u16(medication.value.bits)
        }
        if let hba1c { writer.u16(hba1c.bits) }
        return writer.bytes
    }

    /// `2a34/1`: the whole frame; there is nothing in it that changes. No result of its own.
    public var measurement: Measurement {
        Measurement(
            kind: .glucoseContext, quantities: [], sequence: Int(sequence),
            projection: StoredProjection(codec: "2a34/1", bytes: encoded, distinguishes: true),
            warnings: extendedFlags.map { reservedWarning("extended flag", UInt32($0)) } ?? [])
    }
}
