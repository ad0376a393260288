namespace IlgpuLoader.Formats.Numpy;

/// <summary>An array of an archive that is left out because of its type.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Refusal">What a file of that array alone is refused with.</param>
/// <param name="HoldsPickle">Whether its elements are a pickle.</param>
internal sealed record NpzLeftOut(string Name, UnsupportedCheckpointException Refusal, bool HoldsPickle)
{
    private const int ShownNames = 3;

    /// <summary>Says what is left out and why, in a sentence for each kind of elements.</summary>
    /// <param name="arrays">What is left out.</param>
    public static IEnumerable<string> Warnings(IReadOnlyList<NpzLeftOut> arrays) => arrays
        .GroupBy(array => (array.Refusal.Feature, array.HoldsPickle))
        .Select(group =>
        {
            string[] names = [.. group.Select(array => array.Name)];
            return $"left out: {List(names)} ({names.Length}), whose elements are no numbers that are read: {group.Key.Feature}"
                + (group.Key.HoldsPickle ? "; behind the header stands a pickle, which can run any code when Python loads it: audit shows what it would do." : ".");
        });

    /// <summary>The first names of a list.</summary>
    public static string List(string[] names) =>
        string.Join(", ", names.Take(ShownNames).Select(Quoted.Name)) + (names.Length > ShownNames ? ", …" : "");
}
