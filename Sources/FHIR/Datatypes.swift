public import ExactJSON

extension R4 {
    public struct Coding: FHIRElement {
        public var system: String
        public var code: String
        public var display: String?

        public init(_ system: String, _ code: String, _ display: String? = nil) {
            self.system = system
            self.code = code
            self.display = display
        }

        public func write(to writer: inout FHIRWriter) {
            writer.object {
                $0.string("system", system)
                $0.string("code", code)
                $0.string("display", display)
            }
        }
    }

    public struct CodeableConcept: FHIRElement {
        public var coding: [Coding]
        public var text: String?

        public init(_ coding: Coding..., text: String? = nil) {
            self.coding = coding
            self.text = text
        }

        public init(coding: [Coding], text: String? = nil) {
            self.coding = coding
            self.text = text
        }

        public func write(to writer: inout FHIRWriter) {
            writer.object {
                $0.array("coding", coding)
                $0.string("text", text)
            }
        }
    }

    /// An identifier; without a value it says by extension that the value is unknown.
    public struct Identifier: FHIRElement {
        public var type: CodeableConcept?
        public var system: String?
        public var value: String?

        public init(system: String?, value: String?, type: CodeableConcept? = nil) {
            self.type = type
            self.system = system
            self.value = value
        }

        public func write(to writer: inout FHIRWriter) {
            writer.object {
                $0.element("type", type)
                $0.string("system", system)
                $0.required("value", "_value", value)
            }
        }
    }

    public struct Reference: FHIRElement {
        public var reference: String

        public init(_ reference: String) { self.reference = reference }

        public func write(to writer: inout FHIRWriter) {
            writer.object { $0.string("reference", reference) }
        }
    }

    public struct Quantity: FHIRElement {
        public var value: ExactDecimal
        /// UCUM, as code and as the unit that people read.
        public var unit: String
        /// The same amount as the device sent it, where it was converted or rounded.
        public var original: Original?

        public struct Original: Hashable, Sendable {
            public var value: ExactDecimal
            public var unit: String
            public init(value: ExactDecimal, unit: String) {
                self.value = value
                self.unit = unit
            }
        }

        public init(_ value: ExactDecimal, unit: String, original: Original? = nil) {
            self.value = value
            self.unit = unit
            self.original = original
        }

        public static let system = "http://unitsofmeasure.org"
        /// "An alternative representation of the same physical quantity expressed in a different unit" (FHIR R4 core extension).
        public static let translation = "http://hl7.org/fhir/StructureDefinition/iso21090-PQ-translation"

        public func write(to writer: inout FHIRWriter) {
            writer.object {
                if let original {
                    $0.array("extension", [original]) { original, writer in
                        writer.object {
                            $0.string("url", Self.translation)
                            $0.element("valueQuantity", Quantity(original.value, unit: original.unit))
                        }
                    }
                }
                $0.number("value", value)
                $0.string("unit", unit)
                $0.string("system", Self.system)
                $0.string("code", unit)
            }
        }
    }

    /// An extension whose value is a reference.
    public struct ReferenceExtension: FHIRElement {
        public var url: String
        public var value: Reference

        public init(_ url: String, _ value: Reference) {
            self.url = url
            self.value = value
        }

        public func write(to writer: inout FHIRWriter) {
            writer.object {
                $0.string("url", url)
                $0.element("valueReference", value)
            }
        }
    }
}

extension FHIRWriter {
    static let dataAbsentReason = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

    /// An element that a profile requires: its value, or the standard extension that says that it is unknown.
    mutating func required(_ key: StaticString, _ extensionKey: StaticString, _ value: String?) {
        if let value {
            string(key, value)
        } else {
            object(extensionKey) {
                $0.array("extension", [Self.dataAbsentReason]) { url, writer in
                    writer.object {
                        $0.string("url", url)
                        $0.string("valueCode", "unknown")
                    }
                }
            }
        }
    }
}
