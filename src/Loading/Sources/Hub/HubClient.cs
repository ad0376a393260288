using System.Globalization;
using System.Net;
using System.Text.Json;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Asks a Hub for revisions and files. Safe for any thread.</summary>
/// <param name="http">Sends the requests.</param>
/// <param name="settings">Which Hub, and as whom.</param>
internal sealed class HubClient(RemoteHttp http, HubSettings settings)
{
    /// <summary>The branch that is meant where none is named.</summary>
    public const string MainRevision = "main";

    /// <summary>Asks for a revision: its commit and its files.</summary>
    /// <param name="repository">The repository.</param>
    /// <param name="revision">A branch, tag or commit.</param>
    /// <param name="cancellationToken">Ends the asking.</param>
    /// <exception cref="RemoteException">It is not to be had, or names in it lead where they must not.</exception>
    public async Task<HubRevision> GetRevisionAsync(HubRepository repository, string revision, CancellationToken cancellationToken)
    {
        var address = RemoteSetting.Below(settings.Endpoint, $"{repository.ApiPath}/revision/{Uri.EscapeDataString(revision)}");
        var request = new RemoteRequest(HttpMethod.Get, address) { Token = settings.Token };
        using var document = await RemoteJson.ReadAsync(http, request, response => Refusal(response, repository, revision, null), cancellationToken).ConfigureAwait(false);
        var name = RemoteName.Of(address);
        var commit = document.RootElement.Text("sha") ?? throw new RemoteException(RemoteFailure.Network, name, "the answer names no commit. Is this a Hub?");
        HubName.CheckCommit(commit, name);
        return new HubRevision(commit, ReadFiles(document.RootElement, name));
    }

    /// <summary>Asks for a file's name, size and commit.</summary>
    /// <param name="repository">The repository.</param>
    /// <param name="revision">A branch, tag or commit.</param>
    /// <param name="path">The file's path.</param>
    /// <param name="cancellationToken">Ends the asking.</param>
    /// <returns>The file; null where there is none at that revision, with the commit if the Hub says it.</returns>
    /// <exception cref="RemoteException">The repository or revision is not to be had, or names lead where they must not.</exception>
    public async Task<(HubFile? File, string? Commit)> FindFileAsync(HubRepository repository, string revision, string path, CancellationToken cancellationToken)
    {
        var address = AddressOf(repository, revision, path);
        var name = RemoteName.Of(address);
        HubName.CheckPath(path, name);
        var request = new RemoteRequest(HttpMethod.Head, address)
        {
            Token = settings.Token,
            FollowsToOtherHosts = false,
            // A mirror may keep the bytes on its own host.
            IsAnswer = redirect => HeaderOf(redirect, "X-Linked-Etag") is not null && HeaderOf(redirect, "X-Linked-Size") is not null,
        };
        using var response = await http.SendAsync(request, cancellationToken).ConfigureAwait(false);
        var commit = HeaderOf(response, "X-Repo-Commit");
        if (commit is not null)
        {
            HubName.CheckCommit(commit, name);
        }

        var isRedirect = RemoteHttp.IsRedirect(response);
        if (isRedirect)
        {
            // Refused now rather than when the bytes are asked for.
            _ = RemoteHttp.RedirectOf(response);
        }
        else if (!response.IsSuccessStatusCode)
        {
            var refusal = Refusal(response, repository, revision, path);
            return refusal.Failure == RemoteFailure.EntryMissing ? (null, commit) : throw refusal;
        }

        var tag = NormalizeTag(HeaderOf(response, "X-Linked-Etag") ?? HeaderOf(response, "ETag"));
        var length = HeaderOf(response, "X-Linked-Size") is { } linked ? ParseLength(linked) : isRedirect ? null : response.Content.Headers.ContentLength;
        if (commit is null || tag is null || length is not { } size)
        {
            throw new RemoteException(
                RemoteFailure.Network,
                name,
                $"the answer says no {(commit is null ? "commit (X-Repo-Commit)" : tag is null ? "ETag" : "size")} of the file. Is this a Hub, and is no proxy between that removes headers?");
        }

        HubName.CheckTag(tag, name);
        RemoteJson.CheckLength(size, path, name);
        return (new HubFile(repository, commit, path, tag, size), commit);
    }

    /// <summary>What a file that is missing is told as.</summary>
    public RemoteException MissingFile(HubRepository repository, string revision, string path) =>
        new(RemoteFailure.EntryMissing, RemoteName.Of(AddressOf(repository, revision, path)), $"{repository} has no file {Quoted.Name(path)} at the revision {Quoted.Name(revision)}. Check the name.");

    /// <summary>A file for reading ranges; nothing is asked yet. It is asked for by its commit, so that its content cannot become another.</summary>
    public IRemoteObject Known(HubFile file) => HttpObject.Known(http, RequestOf(file), file.Length, etag: null);

    /// <summary>A file for downloading: the server that gives the bytes is asked whether it gives ranges.</summary>
    /// <param name="file">The file.</param>
    /// <param name="cancellationToken">Ends the asking.</param>
    /// <exception cref="RemoteException">It is not to be had, or has another size than the Hub says.</exception>
    public async Task<IRemoteObject> OpenAsync(HubFile file, CancellationToken cancellationToken)
    {
        if (file.Length == 0)
        {
            return Known(file);
        }

        var opened = await HttpObject.OpenAsync(http, RequestOf(file), cancellationToken).ConfigureAwait(false);
        return opened.Length == file.Length
            ? opened
            : throw new RemoteException(
                RemoteFailure.Corrupt,
                opened.Name,
                string.Create(CultureInfo.InvariantCulture, $"the Hub says that it has {file.Length} bytes, and the server that gives them that it has {opened.Length}. Try again, and tell whoever runs the server."));
    }

    /// <summary>An ETag as the name of a blob: without <c>W/</c> and its quotes.</summary>
    public static string? NormalizeTag(string? tag)
    {
        tag = tag?.Trim();
        if (tag?.StartsWith("W/", StringComparison.Ordinal) == true)
        {
            tag = tag[2..];
        }

        return tag?.Trim('"');
    }

    private static string? HeaderOf(HttpResponseMessage response, string name) =>
        response.Headers.NonValidated.TryGetValues(name, out var values) && values.ToString() is { Length: > 0 } value ? value : null;

    private static long? ParseLength(string text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var length) ? length : null;

    private static List<string> ReadFiles(JsonElement root, string name)
    {
        var files = new List<string>();
        if (!root.TryGetProperty("siblings", out var siblings) || siblings.ValueKind != JsonValueKind.Array)
        {
            return files;
        }

        if (siblings.GetArrayLength() > RemoteJson.MaximumFiles)
        {
            throw new RemoteException(RemoteFailure.Network, name, $"the repository has {siblings.GetArrayLength()} files, and at most {RemoteJson.MaximumFiles} are read.");
        }

        foreach (var sibling in siblings.EnumerateArray())
        {
            if (sibling.Text("rfilename") is { } path)
            {
                HubName.CheckPath(path, name);
                files.Add(path);
            }
        }

        return files;
    }

    private Uri AddressOf(HubRepository repository, string revision, string path) =>
        RemoteSetting.Below(settings.Endpoint, $"{repository.FilesPath}/resolve/{Uri.EscapeDataString(revision)}/{string.Join('/', path.Split('/').Select(Uri.EscapeDataString))}");

    private RemoteRequest RequestOf(HubFile file) => new(HttpMethod.Get, AddressOf(file.Repository, file.Commit, file.Path)) { Token = settings.Token };

    // What the Hub says in headers; its status alone is ambiguous: 401 stands for a repository that is missing as for one that may not be seen.
    private RemoteException Refusal(HttpResponseMessage response, HubRepository repository, string revision, string? path)
    {
        var address = RemoteName.Of(response.RequestMessage!.RequestUri!);
        var code = HeaderOf(response, "X-Error-Code");
        var said = HeaderOf(response, "X-Error-Message");
        var status = RemoteHttp.Describe(response) + (said is null ? "" : $": {Quoted.Plain(Quoted.Name(said)).Trim('\'')}");
        var withToken = settings.Token is null ? "Set HF_TOKEN to a token of an account that may see it" : "Check whether the account of the token (HF_TOKEN) may see it";
        return (code, response.StatusCode) switch
        {
            ("RevisionNotFound", _) => new(
                RemoteFailure.RevisionMissing, address, $"{repository} has no branch, tag or commit {Quoted.Name(revision)} ({status}). Check the name."),
            ("EntryNotFound", _) when path is not null => MissingFile(repository, revision, path),
            ("GatedRepo", _) => new(
                RemoteFailure.Gated,
                address,
                $"{repository} is gated ({status}). Accept its conditions at {RemoteSetting.Below(settings.Endpoint, repository.FilesPath)}, then {(settings.Token is null ? "set HF_TOKEN to a token of that account" : "use a token of the account that did (HF_TOKEN)")}."),
            (null or "", HttpStatusCode.Unauthorized) when said is not null && said.Contains("Invalid credentials", StringComparison.OrdinalIgnoreCase) => new(
                RemoteFailure.Unauthorized, address, $"the Hub does not know the token ({status}). Set HF_TOKEN to one that is valid, or to none for a public repository."),
            ("RepoNotFound", _) or (null or "", HttpStatusCode.Unauthorized) => new(
                RemoteFailure.RepositoryMissing, address, $"there is no repository {repository}, or it is private ({status}). Check the name. {withToken}."),
            (_, HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden) => new(
                RemoteFailure.Unauthorized, address, $"the Hub refuses it ({status}). {withToken}."),
            (_, HttpStatusCode.NotFound or HttpStatusCode.Gone) => path is null
                ? new(RemoteFailure.RepositoryMissing, address, $"there is no repository {repository} ({status}). Check the name, and the endpoint (HF_ENDPOINT).")
                : MissingFile(repository, revision, path),
            _ => new(RemoteFailure.Network, address, $"the Hub answers {status}."),
        };
    }
}
