namespace IlgpuLoader.Formats;

/// <summary>Tells text from UTF-16 that is none: half of a surrogate pair is no character, and no encoding can write it.</summary>
internal static class SurrogatePairs
{
    /// <summary>Whether all surrogates of a text stand in pairs.</summary>
    public static bool AreWhole(ReadOnlySpan<char> text)
    {
        for (var i = text.IndexOfAnyInRange('\ud800', '\udfff'); i >= 0 && i < text.Length; i++)
        {
            if (char.IsSurrogate(text[i]) && (i + 1 == text.Length || !char.IsSurrogatePair(text[i], text[++i])))
            {
                return false;
            }
        }

        return true;
    }
}
