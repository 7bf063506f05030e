extension R4 {
    public struct Observation: FHIRResource {
        public static let resourceType = "Observation"

        public enum Status: String, Hashable, Sendable {
            case final
            case preliminary
            case enteredInError = "entered-in-error"
        }

        /// What is known of the value of an observation or a component.
        public enum Value: Hashable, Sendable {
            case quantity(Quantity)
            case concept(CodeableConcept)
            case boolean(Bool)
            case dateTime(String)
            /// None, and why: a code of `http://terminology.hl7.org/CodeSystem/data-absent-reason`.
            case absent(String)
        }

        public struct Component: FHIRElement {
            public var code: CodeableConcept
            public var value: Value

            public init(_ code: CodeableConcept, _ value: Value) {
                self.code = code
                self.value = value
            }

            public func write(to writer: inout FHIRWriter) {
                writer.object {
                    $0.element("code", code)
                    value.write(to: &$0)
                }
            }
        }

        /// The logical id; only in an update.
        public var id: String?
        public var profiles: [String]
        public var extensions: [ReferenceExtension]
        public var identifiers: [Identifier]
        public var status: Status
        public var categories: [CodeableConcept]
        public var code: CodeableConcept
        public var subject: Reference
        /// FHIR dateTime with zone offset.
        public var effective: String?
        public var value: Value?
        public var interpretations: [CodeableConcept]
        public var notes: [String]
        public var method: CodeableConcept?
        public var device: Reference
        public var derivedFrom: [Reference]
        public var components: [Component]

        public init(
            id: String? = nil, profiles: [String], extensions: [ReferenceExtension] = [], identifiers: [Identifier] = [],
            status: Status = .final, categories: [CodeableConcept] = [], code: CodeableConcept, subject: Reference,
            effective: String?, value: Value? = nil, interpretations: [CodeableConcept] = [], notes: [String] = [],
            method: CodeableConcept? = nil, device: Reference, derivedFrom: [Reference] = [], components: [Component] = []
        ) {
            self.id = id
            self.profiles = profiles
            self.extensions = extensions
            self.identifiers = identifiers
            self.status = status
            self.categories = categories
            self.code = code
            self.subject = subject
            self.effective = effective
            self.value = value
            self.interpretations = interpretations
            self.notes = notes
            self.method = method
            self.device = device
            self.derivedFrom = derivedFrom
            self.components = components
        }

        public func write(to writer: inout FHIRWriter) {
            writer.object {
                $0.string("resourceType", Self.resourceType)
                $0.string("id", id)
                $0.object("meta") { $0.array("profile", profiles) { profile, writer in writer.string(profile) } }
                $0.array("extension", extensions)
                $0.array("identifier", identifiers)
                $0.string("status", status.rawValue)
                $0.array("category", categories)
                $0.element("code", code)
                $0.element("subject", subject)
                $0.string("effectiveDateTime", effective)
                value?.write(to: &$0)
                $0.array("interpretation", interpretations)
                $0.array("note", notes) { text, writer in writer.object { $0.string("text", text) } }
                $0.element("method", method)
                $0.element("device", device)
                $0.array("derivedFrom", derivedFrom)
                $0.array("component", components)
            }
        }
    }
}

extension R4.Observation.Value {
    public static let dataAbsentReason = "http://terminology.hl7.org/CodeSystem/data-absent-reason"

    func write(to writer: inout FHIRWriter) {
        switch self {
        case .quantity(let quantity): writer.element("valueQuantity", quantity)
        case .concept(let concept): writer.element("valueCodeableConcept", concept)
        case .boolean(let value): writer.bool("valueBoolean", value)
        case .dateTime(let text): writer.string("valueDateTime", text)
        case .absent(let code):
            writer.element("dataAbsentReason", R4.CodeableConcept(R4.Coding(Self.dataAbsentReason, code)))
        }
    }
}
