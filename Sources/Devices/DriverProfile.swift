import Catalogue
import Protocols

/// Which characteristics a driver listens to, and what their frames are. The whole difference between the standard profiles: one
/// session machine speaks them all.
struct DriverProfile {
    struct Source {
        var characteristic: BluetoothUUID
        var role: FrameRole
        /// How the profile sends it; a device that can only do the other is taken so.
        var indicates: Bool
    }

    var service: BluetoothUUID
    var sources: [Source]
    var feature: BluetoothUUID

    init(for model: Model) {
        switch model.driver {
        case .bloodPressure:
            // Blood Pressure Service 1.1.1: measurement, intermediate cuff pressure, feature.
            service = 0x1810
            sources = [
                Source(characteristic: 0x2A35, role: .result, indicates: true),
                Source(characteristic: 0x2A36, role: .intermediate, indicates: false),
            ]
            feature = 0x2A49
        case .pulseOximeter:
            // Pulse Oximeter Service 1.0.1: spot-check, continuous, features.
            service = 0x1822
            sources = [Source(characteristic: 0x2A5E, role: .result, indicates: true)]
            // A stream without a rule could never become a reading.
            if model.stream != nil { sources.append(Source(characteristic: 0x2A5F, role: .sample, indicates: false)) }
            feature = 0x2A60
        case .noninSerial:
            // No attributes: `makeSession` gives it a session of its own. Over ATT it would end for want of a data characteristic.
            service = 0x1822
            sources = []
            feature = 0x2A60
        }
    }

    func role(of type: BluetoothUUID) -> FrameRole { sources.first { $0.characteristic == type }?.role ?? .unrecognized }
}

extension BluetoothUUID {
    static let recordAccessControlPoint: BluetoothUUID = 0x2A52
    static let deviceInformation: BluetoothUUID = 0x180A
    static let batteryLevel: BluetoothUUID = 0x2A19
    static let currentTime: BluetoothUUID = 0x2A2B
    static let dateTime: BluetoothUUID = 0x2A08
}
