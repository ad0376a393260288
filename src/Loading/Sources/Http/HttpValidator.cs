using System.Globalization;
using System.Net.Http.Headers;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>What a server says of a file's content (RFC 9110, 8.8): its <c>ETag</c>, and when it was changed. Immutable.</summary>
/// <param name="EntityTag">The tag with its quotes, and with <c>W/</c> where it is weak; null for none.</param>
/// <param name="LastModified">The time; null for none.</param>
internal sealed record HttpValidator(string? EntityTag, DateTimeOffset? LastModified)
{
    private bool IsWeak => EntityTag?.StartsWith("W/", StringComparison.Ordinal) == true;

    /// <summary>
    /// What goes into <c>If-Range</c>: a strong tag, else the time; null where there is neither, as a weak tag says nothing of ranges (RFC 9110, 13.1.5).
    /// </summary>
    public string? IfRange => EntityTag is not null && !IsWeak ? EntityTag : LastModified?.ToString("R", CultureInfo.InvariantCulture);

    /// <summary>What a response says; null where it says nothing.</summary>
    public static HttpValidator? Of(HttpResponseMessage response)
    {
        var tag = response.Headers.ETag is { } parsed ? parsed.ToString() : null;
        var modified = response.Content.Headers.LastModified;
        return tag is null && modified is null ? null : new HttpValidator(tag, modified);
    }

    /// <summary>A tag as it stands in its header. One that is none there pins nothing.</summary>
    public static HttpValidator? OfEntityTag(string tag) => EntityTagHeaderValue.TryParse(tag, out var parsed) ? new HttpValidator(parsed.ToString(), null) : null;

    /// <summary>Whether two answers can be of one content: strong tags say it by themselves, since servers of one name may have other times; weak ones together with the times, where there are such.</summary>
    public bool Agrees(HttpValidator other)
    {
        if (EntityTag is not null && other.EntityTag is not null)
        {
            if (Opaque(EntityTag) != Opaque(other.EntityTag))
            {
                return false;
            }

            if (!IsWeak && !other.IsWeak)
            {
                return true;
            }
        }

        return LastModified is null || other.LastModified is null || LastModified == other.LastModified;
    }

    /// <summary>For messages.</summary>
    public override string ToString() =>
        EntityTag is not null && !(IsWeak && LastModified is not null) ? $"ETag {Quoted.Name(EntityTag)}" : $"of {LastModified?.ToString("R", CultureInfo.InvariantCulture)}";

    // A server may call one tag strong in one answer and weak in another, as nginx does when it compresses.
    private static string Opaque(string tag) => tag.StartsWith("W/", StringComparison.Ordinal) ? tag[2..] : tag;
}
