/// A unit of measure as its UCUM code.
public struct UCUM: RawRepresentable, Hashable, Sendable {
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }
    public init(_ code: String) { rawValue = code }

    /// `http://unitsofmeasure.org`, the code system in FHIR.
    public static let system = "http://unitsofmeasure.org"
}

extension UCUM {
    public static let millimetreOfMercury = UCUM("mm[Hg]")
    public static let kilopascal = UCUM("kPa")
    public static let perMinute = UCUM("/min")
    public static let percent = UCUM("%")
    public static let kilogram = UCUM("kg")
    public static let pound = UCUM("[lb_av]")
    public static let metre = UCUM("m")
    public static let inch = UCUM("[in_i]")
    public static let kilogramPerSquareMetre = UCUM("kg/m2")
    public static let degreeCelsius = UCUM("Cel")
    public static let degreeFahrenheit = UCUM("[degF]")
    public static let kilojoule = UCUM("kJ")
    public static let ohm = UCUM("Ohm")
    public static let kilogramPerLitre = UCUM("kg/L")
    public static let molePerLitre = UCUM("mol/L")
    public static let minute = UCUM("min")
    public static let one = UCUM("1")
}
