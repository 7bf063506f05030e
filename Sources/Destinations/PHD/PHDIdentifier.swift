public import Vitals

/// The conditional-create identifier of the PHD IG 2.0.0, by its normative text:
/// `device-patient-type-timestamp-duration-supplemental`.
///
/// The examples inside the IG still show the form of 1.x (a calendar timestamp), and DK Core's the one with value and unit;
/// neither matches the text. One published example of the text itself is wrong by 33 s.
public enum PHDIdentifier {
    /// The identifier's value; `nil` where the device has no system id or address, or gave no valid time of its own.
    ///
    /// - Parameters:
    ///   - device: its System ID as 16 capital hex digits, else its address as 12.
    ///   - patientID: the receiver's logical id of the patient; never a national id, because it lands in URLs.
    ///   - time: the device's own time, not the corrected one: seconds since 2000-01-01 on its face. Devices of the Bluetooth
    ///     profiles keep whole seconds and report no zone offset.
    ///   - supplemental: codes that describe the type further, such as MDC_MODALITY_SPOT.
    public static func value(
        device: DeviceIdentity, patientID: String, type: MDC, time: LocalDateTime?, supplemental: [MDC] = []
    ) -> String? {
        guard let time, time.isValid, let device = deviceName(device) else { return nil }
        var value = "\(device)-\(patientID)-\(type.rawValue)-\(time.secondsSince2000)"
        for code in supplemental { value += "-\(code.rawValue)" }
        return value
    }

    static func deviceName(_ device: DeviceIdentity) -> String? {
        if let systemID = device.systemID, systemID.count == 8 { return systemID.capitalHex() }
        return device.address.flatMap { [UInt8](address: $0) }?.capitalHex()
    }
}
