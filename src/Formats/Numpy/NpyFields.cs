namespace IlgpuLoader.Formats.Numpy;

/// <summary>The three fields of an array's header as they are spelled: what the type of its elements means is not looked at.</summary>
/// <param name="Values">The values of descr, fortran_order (a truth value) and shape.</param>
/// <param name="Begin">Where the text of the header begins, in bytes from the start of the array.</param>
/// <param name="End">Where the data begins, in bytes from the start of the array.</param>
internal readonly record struct NpyFields(IReadOnlyDictionary<string, object?> Values, int Begin, int End);
