// swift-tools-version: 6.2
import PackageDescription

// The rooms, lowest first. A room imports only rooms above it in this list: ARCHITECTURE.md draws the same map,
// and `Tests/Rigs/architecture.py` holds the sources against it.

let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let cryptoExtras: Target.Dependency = .product(name: "CryptoExtras", package: "swift-crypto")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let signals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "vitalgate",
    products: [
        .executable(name: "vitalgate", targets: ["vitalgate"]),
        .library(name: "Simulator", targets: ["Simulator"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0", traits: []),
    ],
    targets: [
        // System libraries: module maps and the few inline shims that Swift cannot call itself.
        .systemLibrary(name: "CLinux"),
        // Headers alone: nothing of libbluetooth is linked.
        .systemLibrary(name: "CBlueZ", providers: [.apt(["libbluetooth-dev"])]),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),

        // Values and pure decisions.
        room("ExactJSON"),
        room("Vitals", ["ExactJSON"]),
        room("Protocols", ["Vitals", "ExactJSON"]),
        room("Catalogue", ["Vitals", "ExactJSON"]),
        room("Steward", ["Vitals", "ExactJSON", crypto]),
        room("FHIR", ["Vitals", "ExactJSON"]),
        room("HTTPMessage"),
        room("Trust", ["Vitals", "HTTPMessage", "ExactJSON", crypto, cryptoExtras]),
        room("Devices", ["Protocols", "Catalogue", "Vitals", "ExactJSON"]),
        room("Destinations", ["FHIR", "Vitals", "HTTPMessage", "ExactJSON"]),

        // What touches the machine.
        room("EventLoop", ["CLinux"]),
        room("HTTP", ["HTTPMessage", "EventLoop", "CCurl", "CLinux"]),
        room("Bluetooth", ["Protocols", "Vitals", "EventLoop", "CLinux", "CBlueZ"]),
        room("Journal", ["Vitals", "Steward", "ExactJSON", "EventLoop", "CSQLite", crypto]),
        room("Intake", ["Devices", "Catalogue", "Protocols", "Journal", "Steward", "Vitals"]),
        room(
            "Courier",
            ["Journal", "Destinations", "Trust", "Steward", "Vitals", "HTTP", "HTTPMessage", "ExactJSON", logging, lifecycle]),
        room(
            "Simulator",
            [
                "Protocols", "FHIR", "Vitals", "ExactJSON", "EventLoop", "CLinux", hummingbird, logging, lifecycle, crypto,
                cryptoExtras,
            ]),
        room("HubAPI", ["Vitals", "ExactJSON", hummingbird, logging, lifecycle]),
        room(
            "Gateway",
            [
                "Vitals", "ExactJSON", "Protocols", "Catalogue", "Steward", "FHIR", "HTTPMessage", "Trust", "Devices",
                "Destinations",
                "EventLoop", "HTTP", "Bluetooth", "Journal", "Intake", "Courier", "Simulator", "HubAPI",
                "CSystemd", "CLinux", crypto, logging, lifecycle, signals, arguments,
            ]),
        .executableTarget(name: "vitalgate", dependencies: ["Gateway"], swiftSettings: strict),
        tests("CatalogueTests", ["Catalogue", "Vitals", "ExactJSON"]),
        tests(
            "ConfigurationTests", ["Gateway", "Catalogue", "Destinations", "Trust", "Vitals", "ExactJSON", logging]),
        .testTarget(
            name: "JournalTests", dependencies: ["Journal", "Steward", "Vitals", "ExactJSON", "EventLoop", "CSQLite"],
            exclude: ["Golden"],
            swiftSettings: strict),
        tests("DevicesTests", ["Devices", "Protocols", "Catalogue", "Vitals", "ExactJSON"]),
        tests("ProtocolsTests", ["Protocols", "Vitals", "ExactJSON"]),
        tests("StewardTests", ["Steward", "Vitals", "ExactJSON"]),
        tests("TrustTests", ["Trust", "Vitals", "HTTPMessage", "ExactJSON", crypto]),
        tests("VitalsTests", ["Vitals", "ExactJSON"]),
        tests("ExactJSONTests", ["ExactJSON"]),
        tests("FHIRTests", ["FHIR", "ExactJSON"]),
        tests("DestinationsTests", ["Destinations", "FHIR", "HTTPMessage", "Vitals", "ExactJSON"]),
        tests("EventLoopTests", ["EventLoop", "CLinux"]),
        tests("BluetoothTests", ["Bluetooth", "Protocols", "Vitals", "EventLoop"]),
        tests(
            "SimulatorTests",
            [
                "Simulator", "Trust", "Destinations", "Bluetooth", "Devices", "Catalogue", "Protocols", "Vitals", "ExactJSON",
                "HTTP", "HTTPMessage", "EventLoop", "CLinux", crypto,
            ]),
        tests("HTTPTests", ["HTTP", "HTTPMessage", "EventLoop", "CLinux"]),
        tests(
            "IntakeTests",
            [
                "Intake", "Journal", "Steward", "Simulator", "Bluetooth", "Devices", "Catalogue", "Protocols", "Vitals",
                "ExactJSON", "EventLoop", "CLinux",
            ]),
        tests(
            "CourierTests",
            [
                "Courier", "Journal", "Steward", "Simulator", "Destinations", "Trust", "HTTP", "HTTPMessage", "Vitals",
                "ExactJSON",
                "EventLoop", "CLinux",
            ]),
        tests(
            "HubAPITests", ["HubAPI", "Vitals", "ExactJSON", "HTTP", "HTTPMessage", "EventLoop", "CLinux", logging, lifecycle]),
        tests(
            "GatewayTests",
            [
                "Gateway", "Bluetooth", "Catalogue", "Protocols", "HubAPI", "Journal", "Vitals", "ExactJSON", "EventLoop",
                "CLinux",
                logging,
            ]),
    ],
    swiftLanguageModes: [.v6]
)
