public import ExactJSON

extension R4 {
    /// A transaction as a client sends it.
    public struct TransactionRequest: FHIRElement {
        public enum Resource: Hashable, Sendable {
            case observation(Observation)
            case device(Device)
        }

        public struct Entry: FHIRElement {
            public enum Method: Hashable, Sendable {
                /// Create, unless something matches the search; `nil` creates always.
                case create(ifNoneExist: String?)
                /// Update what stands at the URL (an id, or a search that finds one).
                case update(url: String, ifMatch: String?)
            }

            /// `urn:uuid:`: other entries refer to it by this.
            public var fullURL: String
            public var resource: Resource
            public var method: Method

            public init(fullURL: String, resource: Resource, method: Method) {
                self.fullURL = fullURL
                self.resource = resource
                self.method = method
            }

            public func write(to writer: inout FHIRWriter) {
                writer.object {
                    $0.string("fullUrl", fullURL)
                    let type: String
                    switch resource {
                    case .observation(let observation):
                        type = Observation.resourceType
                        $0.element("resource", observation)
                    case .device(let device):
                        type = Device.resourceType
                        $0.element("resource", device)
                    }
                    $0.object("request") {
                        switch method {
                        case .create(let ifNoneExist):
                            $0.string("method", "POST")
                            $0.string("url", type)
                            $0.string("ifNoneExist", ifNoneExist)
                        case .update(let url, let ifMatch):
                            $0.string("method", "PUT")
                            $0.string("url", url)
                            $0.string("ifMatch", ifMatch)
                        }
                    }
                }
            }
        }

        public var entries: [Entry]

        public init(_ entries: [Entry]) { self.entries = entries }

        public func write(to writer: inout FHIRWriter) {
            writer.object {
                $0.string("resourceType", "Bundle")
                $0.string("type", "transaction")
                $0.array("entry", entries)
            }
        }
    }

    /// What a server answers to a transaction, one entry for each that was sent.
    public struct TransactionResponse: Hashable, Sendable {
        public struct Entry: Hashable, Sendable {
            /// The HTTP status that leads `response.status`; `nil` where there is none to read.
            public var status: Int?
            public var location: String?
            public var etag: String?
            public var lastModified: String?
            public var outcome: OperationOutcome?
        }

        public var entries: [Entry]

        /// `nil` where the JSON is no transaction-response (or batch-response) Bundle.
        public init?(_ json: JSON) {
            guard json["resourceType"]?.string == "Bundle",
                let type = json["type"]?.string, type == "transaction-response" || type == "batch-response"
            else { return nil }
            entries = (json["entry"]?.array ?? []).map { entry in
                let response = entry["response"]
                return Entry(
                    status: (response?["status"]?.string?.prefix(3)).flatMap { Int($0) },
                    location: response?["location"]?.string,
                    etag: response?["etag"]?.string,
                    lastModified: response?["lastModified"]?.string,
                    outcome: response?["outcome"].flatMap(OperationOutcome.init))
            }
        }
    }
}
