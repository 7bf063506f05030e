// What the radio has to know of a model.

extension Model {
    /// The way to the device.
    public enum Transport: String, Hashable, Sendable, CaseIterable {
        /// Bluetooth LE: the attribute protocol on its fixed channel.
        case le
        /// Bluetooth Classic (BR/EDR): the Serial Port Profile, a byte stream over RFCOMM.
        case classicSerial = "classic-serial"
    }

    /// How the hub and the device come to share a key.
    public struct Pairing: Hashable, Sendable {
        public var method: Method
        /// What the hub claims to have while it pairs with this model.
        public var ioCapability: IOCapability
        /// Where the PIN or the fixed passkey stands, such as "on the inside of the battery door".
        public var pinHint: String?
        /// What to press so that the device can be paired.
        public var instructions: String
        /// What to press so that it comes back by itself over the new bond.
        public var proof: String

        public enum Method: String, Hashable, Sendable, CaseIterable {
            /// Encrypted, with nobody checking who is at the other end.
            case justWorks = "just-works"
            /// The device shows or bears six digits, which are entered at the hub.
            case passkey
            /// Both show six digits, and a person says whether they are the same.
            case numeric
            /// The PIN of Bluetooth 2.0 and earlier; Classic only.
            case pin
            /// No key: the link stays unencrypted.
            case none
        }

        /// As the Security Manager and the kernel's Set IO Capability know it.
        public enum IOCapability: String, Hashable, Sendable, CaseIterable {
            case displayOnly = "display-only"
            case displayYesNo = "display-yes-no"
            case keyboardOnly = "keyboard-only"
            case noInputNoOutput = "no-input-no-output"
            case keyboardDisplay = "keyboard-display"

            /// The number on the wire (Core, volume 3, part H, table 3.4).
            public var code: UInt8 {
                switch self {
                case .displayOnly: 0
                case .displayYesNo: 1
                case .keyboardOnly: 2
                case .noInputNoOutput: 3
                case .keyboardDisplay: 4
                }
            }

            /// The one with which the method comes about, whatever the device claims of itself.
            ///
            /// Core, volume 3, part H, table 2.8, with the hub as the initiator:
            /// - just-works: NoInputNoOutput gives Just Works beside every responder. A display on our side would ask a person about
            ///   digits that a device without one never shows.
            /// - passkey: KeyboardOnly has the device show and the hub enter beside DisplayOnly, DisplayYesNo and KeyboardDisplay, under
            ///   legacy pairing and Secure Connections alike. KeyboardDisplay would turn into numeric comparison beside the last two
            ///   under Secure Connections, and with a KeyboardDisplay device under legacy pairing the hub would have to show the digits.
            /// - numeric, LE: DisplayYesNo beside DisplayYesNo is numeric comparison under Secure Connections, but Just Works under
            ///   legacy pairing: an attacker who strips Secure Connections would get a bond that nobody compared. KeyboardDisplay gives
            ///   the same comparison and falls back to a passkey.
            /// - numeric, Classic: DisplayYesNo; Secure Simple Pairing knows no KeyboardDisplay.
            /// - pin: the PIN takes no part in the table. KeyboardOnly, should the device know Secure Simple Pairing after all: a person is
            ///   then asked for digits as well.
            public static func standard(for method: Method, over transport: Transport) -> IOCapability {
                switch method {
                case .justWorks, .none: .noInputNoOutput
                case .passkey, .pin: .keyboardOnly
                case .numeric: transport == .le ? .keyboardDisplay : .displayYesNo
                }
            }

            /// Whether the method can come about with it at all, by the same table.
            func permits(_ method: Method) -> Bool {
                switch method {
                case .passkey: self == .keyboardOnly || self == .keyboardDisplay
                case .numeric: self == .displayYesNo || self == .keyboardDisplay
                case .justWorks, .pin, .none: true
                }
            }
        }

        /// - Parameter ioCapability: ``IOCapability/standard(for:over:)`` for LE where it is `nil`.
        public init(
            method: Method = .justWorks, ioCapability: IOCapability? = nil, pinHint: String? = nil, instructions: String? = nil,
            proof: String? = nil
        ) {
            self.method = method
            self.ioCapability = ioCapability ?? .standard(for: method, over: .le)
            self.pinHint = pinHint
            self.instructions = instructions ?? "Put the device into its pairing mode; its manual says how."
            self.proof = proof ?? "Switch the device off and on again, or take a reading with it."
        }
    }

    /// The parameters of a connection over LE, in the units of the kernel's Load Connection Parameters and of the HCI.
    ///
    /// Core, volume 4, part E, 7.8.12 has the bounds.
    public struct Connection: Hashable, Sendable {
        /// Shortest interval between two connection events, in 1.25 ms: 6 (7.5 ms) to 3,200 (4 s).
        public var intervalMinimum: UInt16
        /// Longest interval, likewise; not below ``intervalMinimum``.
        public var intervalMaximum: UInt16
        /// How many connection events in a row the device may skip, up to 499.
        public var latency: UInt16
        /// Silence after which the link counts as lost, in 10 ms: 10 (100 ms) to 3,200 (32 s), and longer than two intervals that the
        /// device may sleep through.
        public var supervisionTimeout: UInt16

        /// The defaults.
        ///
        /// - 15 to 30 ms between events: finding out and subscribing takes some 20 requests, each an event or two. At the kernel's 30 to
        ///   50 ms that is up to 2 s, longer than some cuffs stay; at 30 ms it is 0.6 to 1.2 s. Below 15 ms, ten devices at once would
        ///   leave the controller no room.
        /// - No latency: the link lasts seconds, so there is nothing to save.
        /// - 2 s until a link is lost. The kernel's 420 ms is about ten events: an arm in between ends the link.
        public init(
            intervalMinimum: UInt16 = 12, intervalMaximum: UInt16 = 24, latency: UInt16 = 0, supervisionTimeout: UInt16 = 200
        ) {
            self.intervalMinimum = intervalMinimum
            self.intervalMaximum = intervalMaximum
            self.latency = latency
            self.supervisionTimeout = supervisionTimeout
        }

        /// Whether the timeout leaves the device room: in milliseconds, more than (1 + latency) * longest interval * 2.
        ///
        /// 10 ms a step of the timeout, 1.25 ms one of the interval: times four, 40 against 5 * 2.
        public var isTimeoutLongEnough: Bool {
            Int(supervisionTimeout) * 40 > (1 + Int(latency)) * Int(intervalMaximum) * 10
        }
    }
}
