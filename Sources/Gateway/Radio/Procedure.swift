import Bluetooth
import Catalogue
import ExactJSON
import HubAPI
import Protocols
import Vitals

/// One thing that a technician does with the hub's help, step by step: a look around, a pairing, a proof. Decided without radio or
/// journal; ``Technician`` does what it says.
protocol Procedure: Sendable {
    mutating func start(at now: MonotonicTime) -> [ProcedureEffect]
    mutating func receive(_ event: ProcedureEvent, at now: MonotonicTime) -> [ProcedureEffect]
}

/// What a procedure hears of.
enum ProcedureEvent: Sendable {
    /// Somebody advertises, or answers an inquiry.
    case heard(Advertiser)
    case pairing(AdapterMachine.Pairing)
    /// The device and its bond are durable, or why not.
    case stored(Result<StoredDevice, OperationError>)
    /// The device of the procedure: a session with it, or what the radio says of it.
    case device(DeviceNews)
    case answered(String)
    case cancelled
    case adapterLost
    /// Once a second.
    case tick
}

/// What is heard of the procedure's device once it is one of the hub's.
enum DeviceNews: Hashable, Sendable {
    case connected(LinkSecurity)
    case identified
    case clockSet
    case subscribed
    case battery(Int)
    case reading
    case ended(readings: Int, reason: String)
    /// The link came and could not be encrypted.
    case keyRefused
    case bondLost
}

enum ProcedureEffect: Sendable {
    case step(ProcedureStep)
    case ask(ProcedureStep)
    case scan(Bool)
    case pair(PairingWindow.Plan, Model)
    case answer(PairingWindow.Answer)
    case cancelPairing
    /// Make the bond durable, with the device and the beginning of its verification, in one transaction.
    case store(address: DeviceAddress, keys: BondKeys, model: Model)
    /// End the link with the procedure's device.
    case hangUp
    /// The proof is there.
    case prove
    case finish
    case fail(OperationError)
}

/// One line for the technician, and the same for machines.
struct ProcedureStep: Hashable, Sendable {
    /// A word that scripts look for, such as `paired`.
    var name: String
    var message: String
    var facts: [JSON.Member] = []

    init(_ name: String, _ message: String, _ facts: [JSON.Member] = []) {
        self.name = name
        self.message = message
        self.facts = facts
    }

    var json: JSON {
        .object([.init("step", .string(name)), .init("message", .string(message))] + facts)
    }
}

struct StoredDevice: Hashable, Sendable {
    var id: Int64
    var name: String
}

/// Somebody on the air.
struct Advertiser: Hashable, Sendable {
    var address: DeviceAddress
    /// As it advertises it: by this it is chosen.
    var name: String?
    var rssi: Int?
    var services: [UInt16]
    var company: UInt16?
    var isConnectable: Bool
    /// The entry of the catalogue that fits what it advertises.
    var model: Model?

    init(
        address: DeviceAddress, rssi: Int8?, isConnectable: Bool, advertising: AdvertisingData, catalogue: DeviceCatalogue
    ) {
        self.address = address
        self.rssi = rssi.map(Int.init)
        self.isConnectable = isConnectable
        name = advertising.localName
        services = advertising.services.compactMap(\.assignedNumber)
        company = advertising.manufacturerData.first?.companyID
        model = catalogue.model(matching: name, services: services, manufacturerCompany: company)
    }

    var json: [JSON.Member] {
        [
            .init("address", .string(address.text)), .init("type", .string(address.kindName)),
            .init("name", name.map { .string($0) } ?? .null), .init("rssi", rssi.map { .integer($0) } ?? .null),
            .init("model", model.map { .string($0.id) } ?? .null),
            .init("services", .array(services.map { .string($0.hex4) })),
        ]
    }

    /// The name for a terminal: it is a stranger's text, and must not move the cursor or turn the line around.
    var shownName: String? {
        name.map { name in
            String(
                String.UnicodeScalarView(
                    name.unicodeScalars.map { scalar in
                        switch scalar.properties.generalCategory {
                        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: "?"
                        default: scalar
                        }
                    }))
        }
    }

    /// Whether the technician means this one: by its address, with or without the kind, or by the name that it advertises.
    func isMeant(by text: String) -> Bool {
        let upper = text.uppercased()
        return upper == address.text || upper == address.description.uppercased() || (name.map { $0 == text } ?? false)
    }
}

extension DeviceAddress {
    /// `public`, `random` or `classic`.
    var kindName: String { String(description.drop { $0 != "/" }.dropFirst()) }
}
