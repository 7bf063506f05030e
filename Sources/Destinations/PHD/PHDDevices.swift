import FHIR
import Vitals

/// A resource with the name that other entries call it by, and how it is created only once.
struct PHDEntry {
    var fullURL: String
    var ifNoneExist: String?
}

/// The PhdDevice of an act.
struct PHDDeviceEntry {
    let device: R4.Device
    let entry: PHDEntry
    var reference: R4.Reference { R4.Reference(entry.fullURL) }

    init(_ act: Act, edition: PHDEdition) {
        let identity = act.device
        var identifiers: [R4.Identifier] = []
        if let systemID = edition.systemID(of: identity) {
            identifiers.append(
                R4.Identifier(
                    system: PHD.eui64, value: systemID.dashed,
                    type: R4.CodeableConcept(R4.Coding(edition.deviceIdentifiers, "SYSID"))))
        }
        if let address = identity.address, let digits = [UInt8](address: address) {
            identifiers.append(
                R4.Identifier(
                    system: PHD.bluetoothAddress, value: digits.dashed,
                    type: R4.CodeableConcept(R4.Coding(edition.deviceIdentifiers, "BTMAC"))))
        }
        if identifiers.isEmpty, let serial = identity.serialNumber, let model = identity.modelNumber {
            // A device that tells neither: known by what is printed on it.
            let name = StableUUID.text("device", identity.manufacturer ?? "", model, serial)
            identifiers.append(R4.Identifier(system: OwnIdentifier.system, value: "urn:uuid:\(name)"))
        }
        let key = identifiers.first?.value
        if identifiers.isEmpty { identifiers.append(R4.Identifier(system: OwnIdentifier.system, value: nil)) }
        entry = PHDEntry(
            // Acts of one device share its entry; a device that nobody can name belongs to its act alone.
            fullURL: "urn:uuid:" + StableUUID.text("phd", key ?? act.id.rawValue),
            ifNoneExist: key.flatMap { key in
                identifiers.first.map { FHIRSearch.identifier(system: $0.system, value: key) }
            })
        device = R4.Device(
            profiles: [PHD.profile + "PhdDevice"], identifiers: identifiers, udi: identity.udi,
            manufacturer: identity.manufacturer?.trimmed, serialNumber: identity.serialNumber?.trimmed,
            modelNumber: identity.modelNumber?.trimmed,
            type: R4.CodeableConcept(PHD.coding(MDC(65_573), "MDC_MOC_VMS_MDS_SIMP"), text: "Personal health device"),
            // Bluetooth devices name no version of their specialisation; the transcoding white paper maps them to version 1 of
            // it.
            specializations: [
                R4.Device.Specialization(PHD.concept(act.specialization, act.specialization.profileName), version: "1")
            ],
            versions: Self.versions(identity))
    }

    private static func versions(_ identity: DeviceIdentity) -> [R4.Device.Version] {
        let known = [
            (MDC(531_974), "MDC_ID_PROD_SPEC_HW", identity.hardwareRevision),
            (MDC(531_975), "MDC_ID_PROD_SPEC_SW", identity.softwareRevision),
            (MDC(531_976), "MDC_ID_PROD_SPEC_FW", identity.firmwareRevision),
        ].compactMap { code, name, value in
            value?.trimmed.map { R4.Device.Version(PHD.concept(code, name), $0) }
        }
        // The profile asks for one at least.
        return known.isEmpty ? [R4.Device.Version(PHD.concept(MDC(531_976), "MDC_ID_PROD_SPEC_FW"), nil)] : known
    }
}

/// The PhgDevice: this hub.
struct PHGDeviceEntry {
    let device: R4.Device
    let entry: PHDEntry
    var reference: R4.Reference { R4.Reference(entry.fullURL) }

    init(_ gateway: GatewayIdentity, edition: PHDEdition) {
        let identifier: R4.Identifier
        if let systemID = gateway.systemID, systemID.count == 8 {
            identifier = R4.Identifier(
                system: PHD.eui64, value: systemID.dashed,
                type: R4.CodeableConcept(R4.Coding(edition.deviceIdentifiers, "SYSID")))
        } else {
            identifier = R4.Identifier(system: OwnIdentifier.system, value: "urn:uuid:" + gateway.instance)
        }
        let value = identifier.value ?? gateway.instance
        entry = PHDEntry(
            fullURL: "urn:uuid:" + StableUUID.text("phg", value),
            ifNoneExist: FHIRSearch.identifier(system: identifier.system, value: value))
        device = R4.Device(
            profiles: [PHD.profile + "PhgDevice"], identifiers: [identifier], manufacturer: gateway.manufacturer,
            serialNumber: gateway.serialNumber, modelNumber: gateway.model,
            type: R4.CodeableConcept(PHD.coding(MDC(531_981), "MDC_MOC_VMS_MDS_AHD"), text: "Personal health gateway"),
            specializations: [
                R4.Device.Specialization(PHD.concept(MDC(528_457), "MDC_DEV_SPEC_PROFILE_GENERIC"), version: "2")
            ],
            versions: [R4.Device.Version(PHD.concept(MDC(531_975), "MDC_ID_PROD_SPEC_SW"), gateway.softwareVersion)],
            // No certification is claimed (532353, 532355): there is none.
            properties: [
                R4.Device.Property(
                    PHD.concept(MDC(68_220), "MDC_TIME_SYNC_PROTOCOL"), PHD.concept(MDC(532_226), "MDC_TIME_SYNC_NTPV4"))
            ])
    }
}

extension [UInt8] {
    /// `FE-ED-AB-EE-DE-AD-77-C3`, as the IEEE writes its identifiers.
    fileprivate var dashed: String { capitalHex(separator: UInt8(ascii: "-")) }

    /// Two capital hex digits a byte.
    func capitalHex(separator: UInt8? = nil) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(count * 3)
        for (position, byte) in enumerated() {
            if position > 0, let separator { text.append(separator) }
            for nibble in [byte >> 4, byte & 0x0F] {
                text.append(nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "A") + nibble - 10)
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The six bytes of `AA:BB:CC:DD:EE:FF`, whatever parts them; `nil` where it is no address.
    init?(address text: String) {
        var bytes: [UInt8] = []
        var high: UInt8?
        for byte in text.utf8 where byte != UInt8(ascii: ":") && byte != UInt8(ascii: "-") {
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            default: return nil
            }
            if let first = high {
                bytes.append(first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        guard bytes.count == 6, high == nil else { return nil }
        self = bytes
    }
}

extension String {
    /// Without spaces and NULs at its ends, which many devices send; FHIR allows no empty strings, so `nil` where nothing is
    /// left.
    fileprivate var trimmed: String? {
        let isPadding: (UInt8) -> Bool = { $0 == UInt8(ascii: " ") || $0 == 0 || $0 == UInt8(ascii: "\t") }
        guard let start = utf8.firstIndex(where: { !isPadding($0) }), let end = utf8.lastIndex(where: { !isPadding($0) }) else {
            return nil
        }
        return String(self[start...end])
    }
}

extension MDC {
    /// The reference id of a specialisation; `nil` for those we have no device of.
    fileprivate var profileName: String? {
        switch rawValue {
        case 528_388: "MDC_DEV_SPEC_PROFILE_PULS_OXIM"
        case 528_391: "MDC_DEV_SPEC_PROFILE_BP"
        case 528_399: "MDC_DEV_SPEC_PROFILE_SCALE"
        default: nil
        }
    }
}
