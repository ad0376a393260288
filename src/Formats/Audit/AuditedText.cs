using System.Buffers;
using System.Text.Unicode;
using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats;

/// <summary>
/// Tells text from pickles: the letters of protocol 0 are opcodes, so that a sentence with an i or a c in front "imports" its own words.
/// </summary>
internal static class AuditedText
{
    // Opcodes of a pickle that breaks later are evidence of one.
    private const long FewOpcodes = 16;

    // As much as tells text from numbers.
    private const int Looked = 4096;

    private static readonly SearchValues<byte> Controls =
        SearchValues.Create([.. Enumerable.Range(0, ' ').Select(value => (byte)value).Except("\t\n\f\r"u8.ToArray()), 0x7f]);

    /// <summary>
    /// Whether a pickle that failed is text: so are its bytes, it ends within a few opcodes, and nothing that Python could import
    /// comes before the end. A module of any name that can be one is imported before the failure, and makes it a pickle.
    /// </summary>
    /// <param name="audit">What was found of the pickle up to its failure.</param>
    /// <param name="bytes">Its bytes, and anything behind them.</param>
    public static bool Is(PickleAudit audit, ReadOnlySpan<byte> bytes) =>
        audit.Failure is not null
        && audit.Protocol == 0
        && audit.OpcodeTotal <= FewOpcodes
        && !audit.Globals.Any(CanImport)
        // Both make what a global names; EXT takes it from a table of Python's.
        && audit.RefusedOpcodes.All(opcode => opcode.Name == PickleOpcodes.Name(PickleOpcode.Inst) || opcode.Name == PickleOpcodes.Name(PickleOpcode.Obj))
        && IsText(bytes);

    // Python imports the packages of a dotted name one by one: of what is refused, the first may be there where the rest is not.
    private static bool CanImport(AuditedGlobal global) =>
        IsName(global.Module) || (global.Verdict == AuditedGlobalVerdict.Refused && IsName(global.Module.Split('.')[0]));

    private static bool IsName(string name) => name.Length > 0 && name.All(character => char.IsLetterOrDigit(character) || character is '.' or '_');

    private static bool IsText(ReadOnlySpan<byte> bytes)
    {
        var start = bytes[..Math.Min(Looked, bytes.Length)];
        if (start.IsEmpty || start.ContainsAny(Controls))
        {
            return false;
        }

        // The last character may be cut.
        const int longestCharacter = 4;
        for (var cut = 0; cut < longestCharacter && start.Length > 0; cut++, start = start[..^1])
        {
            if (Utf8.IsValid(start))
            {
                return true;
            }
        }

        return false;
    }
}
