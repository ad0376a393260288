namespace IlgpuLoader.Formats;

/// <summary>A global that a pickle would import.</summary>
/// <param name="Module">The module, as the file spells it.</param>
/// <param name="Name">The name in it.</param>
/// <param name="Count">How often the pickle names it.</param>
/// <param name="FirstOffset">Where it does so first, in bytes from the start of the pickle.</param>
/// <param name="Verdict">What is to be thought of it.</param>
/// <param name="Reason">Why it is not allowed, in whole sentences; null where it is.</param>
public sealed record AuditedGlobal(string Module, string Name, long Count, long FirstOffset, AuditedGlobalVerdict Verdict, string? Reason)
{
    /// <summary>Module and name, joined by a dot.</summary>
    public string FullName => $"{Module}.{Name}";
}
