import ExactJSON
import Vitals

extension AdvertisingData {
    /// As `vitalgate decode` prints it: bytes and UUIDs in hex digits, numbers as the Assigned Numbers count them.
    var json: JSON {
        [
            "kind": "advertising",
            "flags": (flags?.rawValue).json,
            "discoverable": .bool(isDiscoverable),
            "localName": localName.json,
            "localNameComplete": .bool(isLocalNameComplete),
            "services": .array(services.map { .string($0.description) }),
            "solicitedServices": .array(solicitedServices.map { .string($0.description) }),
            "appearance": appearance.json,
            "txPower": txPower.json,
            "manufacturerData": .array(
                manufacturerData.map { ["company": .integer($0.companyID), "bytes": .string($0.bytes.hex)] }),
            "serviceData": .array(
                serviceData.map { ["service": .string($0.service.description), "bytes": .string($0.bytes.hex)] }),
            "classOfDevice": classOfDevice.json,
            "deviceID": deviceID.map {
                [
                    "vendorSource": .integer($0.vendorSource), "vendor": .integer($0.vendor), "product": .integer($0.product),
                    "version": .integer($0.version),
                ]
            } ?? nil,
            "malformed": .bool(isMalformed),
            "warnings": isMalformed ? ["part of the data could not be read"] : [],
        ]
    }
}
