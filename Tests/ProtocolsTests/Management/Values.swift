import Protocols
import Vitals

func address(_ text: String) -> DeviceAddress {
    guard let address = DeviceAddress(text) else { preconditionFailure("no address: \(text)") }
    return address
}

func key(_ hex: String) -> Key128 {
    guard let key = Key128(bytes(hex)) else { preconditionFailure("no key: \(hex)") }
    return key
}

/// The bytes of hexadecimal digits, grouped with spaces; unlike ``bytes(_:)`` a typing error is no empty frame.
func grouped(_ hex: String) -> [UInt8] {
    guard let bytes = [UInt8](hex: hex) else { preconditionFailure("no hexadecimal digits: \(hex)") }
    return bytes
}

let cuff = address("C0:26:DA:00:12:34/public")
let oximeter = address("F1:22:33:44:55:66/random")
let serialOximeter = address("00:1C:05:01:02:03/classic")
let keyHex = "000102030405060708090a0b0c0d0e0f"

extension SeededGenerator {
    mutating func one<Value>(_ values: [Value]) -> Value { values[Int.random(in: 0..<values.count, using: &self)] }
    mutating func number<Number: FixedWidthInteger>() -> Number { Number(truncatingIfNeeded: next()) }

    mutating func deviceAddress(_ kinds: [DeviceAddress.Kind] = DeviceAddress.Kind.allCases) -> DeviceAddress {
        guard let address = DeviceAddress(bytes: bytes(6), kind: one(kinds)) else { preconditionFailure("six bytes") }
        return address
    }

    mutating func key128() -> Key128 {
        guard let key = Key128(bytes(16)) else { preconditionFailure("sixteen bytes") }
        return key
    }

    mutating func longTermKey() -> LongTermKey {
        LongTermKey(
            address: deviceAddress(), keyType: one(LongTermKey.KeyType.allCases), isCentral: chance(),
            encryptionSize: UInt8.random(in: 7...16, using: &self), diversifier: number(), random: next(), value: key128())
    }

    mutating func linkKey() -> LinkKey {
        LinkKey(address: deviceAddress(), keyType: one(LinkKey.KeyType.allCases), value: key128(), pinLength: number())
    }

    mutating func identityResolvingKey() -> IdentityResolvingKey {
        IdentityResolvingKey(address: deviceAddress(), value: key128())
    }

    mutating func connectionParameters() -> ConnectionParameters {
        ConnectionParameters(
            address: deviceAddress(), minimumInterval: number(), maximumInterval: number(), latency: number(), timeout: number())
    }
}
