public import Vitals

/// From a stored frame to what it says: a pure function that can be run again (R2).
public enum FrameDecoder {
    /// The measurement in the frame, or `nil` where its source carries none (a battery level, a control point).
    ///
    /// One segment of a longer 2B36 record is an ``DecodeError/Code/incompleteRecord``; see ``BloodPressureRecord``.
    public static func measurement(_ source: Frame.Source, _ bytes: [UInt8]) throws(DecodeError) -> Measurement? {
        switch source {
        case .gatt(let characteristic, _): try measurement(characteristic: characteristic, bytes)
        case .vendor(let format): try NoninDataFormat(name: format)?.measurement(bytes)
        }
    }

    public static func measurement(characteristic: UInt16, _ bytes: [UInt8]) throws(DecodeError) -> Measurement? {
        switch characteristic {
        case GATTCharacteristic.bloodPressureMeasurement: try BloodPressureMeasurement(decoding: bytes).measurement
        case GATTCharacteristic.intermediateCuffPressure: try IntermediateCuffPressure(decoding: bytes).measurement
        case GATTCharacteristic.enhancedBloodPressureMeasurement:
            try EnhancedBloodPressureMeasurement(decoding: bytes).measurement
        case GATTCharacteristic.enhancedIntermediateCuffPressure:
            try EnhancedIntermediateCuffPressure(decoding: bytes).measurement
        case GATTCharacteristic.bloodPressureRecord: try BloodPressureRecord(segments: [bytes]).measurement
        case GATTCharacteristic.pulseOximeterSpotCheck: try PulseOximeterSpotCheck(decoding: bytes).measurement
        case GATTCharacteristic.pulseOximeterContinuous: try PulseOximeterContinuous(decoding: bytes).measurement
        case GATTCharacteristic.weightMeasurement: try WeightMeasurement(decoding: bytes).measurement
        case GATTCharacteristic.bodyCompositionMeasurement: try BodyCompositionMeasurement(decoding: bytes).measurement
        case GATTCharacteristic.temperatureMeasurement: try TemperatureMeasurement(decoding: bytes).measurement
        case GATTCharacteristic.glucoseMeasurement: try GlucoseMeasurement(decoding: bytes).measurement
        case GATTCharacteristic.glucoseMeasurementContext: try GlucoseContext(decoding: bytes).measurement
        default: nil
        }
    }
}
