extension R4 {
    public struct Device: FHIRResource {
        public static let resourceType = "Device"

        public struct Specialization: FHIRElement {
            public var systemType: CodeableConcept
            public var version: String?

            public init(_ systemType: CodeableConcept, version: String?) {
                self.systemType = systemType
                self.version = version
            }

            public func write(to writer: inout FHIRWriter) {
                writer.object {
                    $0.element("systemType", systemType)
                    $0.string("version", version)
                }
            }
        }

        /// One version of the device; without a value it says by extension that it is unknown.
        public struct Version: FHIRElement {
            public var type: CodeableConcept
            public var value: String?

            public init(_ type: CodeableConcept, _ value: String?) {
                self.type = type
                self.value = value
            }

            public func write(to writer: inout FHIRWriter) {
                writer.object {
                    $0.element("type", type)
                    $0.required("value", "_value", value)
                }
            }
        }

        public struct Property: FHIRElement {
            public var type: CodeableConcept
            public var valueCode: CodeableConcept

            public init(_ type: CodeableConcept, _ valueCode: CodeableConcept) {
                self.type = type
                self.valueCode = valueCode
            }

            public func write(to writer: inout FHIRWriter) {
                writer.object {
                    $0.element("type", type)
                    $0.array("valueCode", [valueCode])
                }
            }
        }

        public var profiles: [String]
        public var identifiers: [Identifier]
        /// The unique device identifier as people read it, sent by the device itself.
        public var udi: String?
        public var manufacturer: String?
        public var serialNumber: String?
        public var modelNumber: String?
        public var type: CodeableConcept
        public var specializations: [Specialization]
        public var versions: [Version]
        public var properties: [Property]

        public init(
            profiles: [String], identifiers: [Identifier], udi: String? = nil, manufacturer: String?, serialNumber: String? = nil,
            modelNumber: String?, type: CodeableConcept, specializations: [Specialization], versions: [Version],
            properties: [Property] = []
        ) {
            self.profiles = profiles
            self.identifiers = identifiers
            self.udi = udi
            self.manufacturer = manufacturer
            self.serialNumber = serialNumber
            self.modelNumber = modelNumber
            self.type = type
            self.specializations = specializations
            self.versions = versions
            self.properties = properties
        }

        public func write(to writer: inout FHIRWriter) {
            writer.object {
                $0.string("resourceType", Self.resourceType)
                $0.object("meta") { $0.array("profile", profiles) { profile, writer in writer.string(profile) } }
                $0.array("identifier", identifiers)
                if let udi {
                    $0.array("udiCarrier", [udi]) { udi, writer in
                        writer.object {
                            $0.string("carrierHRF", udi)
                            $0.string("entryType", "electronic-transmission")
                        }
                    }
                }
                $0.required("manufacturer", "_manufacturer", manufacturer)
                $0.string("serialNumber", serialNumber)
                $0.required("modelNumber", "_modelNumber", modelNumber)
                $0.element("type", type)
                $0.array("specialization", specializations)
                $0.array("version", versions)
                $0.array("property", properties)
            }
        }
    }
}
